"""XTransplant and what else looks into models; nothing else of the package imports it."""
