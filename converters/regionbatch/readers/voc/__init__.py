"""The Pascal VOC reader."""
