"""What hub and edge agent share; imports neither of them."""
