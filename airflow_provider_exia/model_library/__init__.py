"""Models, versions and aliases: publish, resolve, load, promote, roll back."""
