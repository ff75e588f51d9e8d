"""Messages with attachments: MIME multipart/related, read and written piece by piece."""
