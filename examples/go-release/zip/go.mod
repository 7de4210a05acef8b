module example.org/zip

go 1.26
