"""What providers share that answer a request with its images: no job, only an open connection."""
