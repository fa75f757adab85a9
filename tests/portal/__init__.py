"""The portal's pages over a real store, as a browser without script meets them."""
