"""What the hub needs of the outside world, as interfaces."""
