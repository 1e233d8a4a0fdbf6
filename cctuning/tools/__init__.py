"""Small things with no subject of their own."""
