"""Where plates and cutouts come from."""
