"""The document systems of the provinces (quản lý văn bản và điều hành)."""
