"""The stand-alone command ``exia``; every import that costs time happens inside the command that needs it."""
