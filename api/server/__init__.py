"""The server under the application: sockets, and what a client may do before anybody knows who it is."""
