"""Servers that know the connection."""
