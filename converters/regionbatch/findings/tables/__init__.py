"""The finding codes with their texts, one module for each kind of thing that they are about."""
