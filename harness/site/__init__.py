"""The web page: plain documents made from the store, templates, and a server that shows them. Ranks nothing itself."""
