"""The providers' APIs as servers of our own: strict, stateful, on loopback, over real databases."""
