"""Which images there are, and in which order training sees them."""
