"""The finding codes and their texts, in one module for each subject."""
