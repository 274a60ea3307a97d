"""Task decorators: operators around the author's own functions."""
