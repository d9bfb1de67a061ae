"""Settings of jobs: what each job's settings.json holds."""
