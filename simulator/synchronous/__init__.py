"""What providers share that answer a request with its images: no job, only a connection to hold."""
