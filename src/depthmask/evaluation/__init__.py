"""What trained networks are worth: figures by scene, their intervals, the verdict."""
