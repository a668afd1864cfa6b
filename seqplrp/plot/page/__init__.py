"""Reports as one HTML file each: nothing is loaded from anywhere, and nothing in them can act but their own script."""
