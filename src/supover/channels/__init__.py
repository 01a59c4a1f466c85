"""Where orders come from: what a channel says, in our words. Connectors verify and parse; they read and write nothing."""
