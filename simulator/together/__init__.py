"""Together AI's image endpoint, from what is publicly known of it; its errors' words are not confirmed."""
