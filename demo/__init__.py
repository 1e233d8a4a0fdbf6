"""A made-up parallel world, a tiny model that lives in it, and what the connection does to that model."""
