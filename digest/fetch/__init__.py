"""Getting bytes: one file per kind of address. Reading them is somebody else's job."""
