"""Files and folders that stages exchange: names, manifests, checksums, atomic writes."""
