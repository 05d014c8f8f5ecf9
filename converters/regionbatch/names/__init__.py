"""Tables of IDs and of class names, and the lookup of a dataset's names in them."""
