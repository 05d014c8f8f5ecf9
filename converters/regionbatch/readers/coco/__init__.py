"""The COCO reader."""
