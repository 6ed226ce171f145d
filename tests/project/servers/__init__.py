"""What the deployment runs besides the product: real servers with its very files."""
