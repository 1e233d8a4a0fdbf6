"""Tables and plots in one style."""
