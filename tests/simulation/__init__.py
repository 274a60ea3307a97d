"""The library's real code on simulated stores: every interleaving of two operations, with a fault at every write."""
