// Builds the addon; see README.
