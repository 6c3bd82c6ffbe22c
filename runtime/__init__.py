"""What every process of the service needs: signals, logging, a health server, and the one way to exit."""
