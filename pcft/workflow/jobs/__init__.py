"""Settings of jobs, as each job's settings.json holds them."""
