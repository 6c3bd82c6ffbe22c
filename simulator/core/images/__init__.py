"""Images: rendered results, and decoded inputs."""
