"""XTransplant on one question of one's own: every layer into every layer, without a benchmark."""
