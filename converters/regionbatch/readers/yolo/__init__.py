"""The YOLO reader."""
