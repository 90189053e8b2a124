"""One module per subcommand of `cosmos-policy`, imported only when it runs."""
