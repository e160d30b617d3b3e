"""The API of `localaws.chaos`, and its place among the gates."""
