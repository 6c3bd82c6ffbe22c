"""How the database came to be, one revision after the other; never edited once released."""
