"""Recipes: typed settings from files and the command line."""
