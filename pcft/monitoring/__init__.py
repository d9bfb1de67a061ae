"""Progress of the workflow and of its jobs, from the files they write."""
