"""Settings from environment variables: their common rules, what is said of wrong ones, and the names of all of them."""
