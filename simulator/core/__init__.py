"""What every simulated provider shares: server, control plane, storage, jobs, webhooks."""
