"""Together AI's image endpoint, from what is publicly known; its error messages are not documented."""
