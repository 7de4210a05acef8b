package main

import (
	"crypto/tls"
	_ "embed"
	"fmt"
	"html/template"
	"mime"
	"net"
	"net/http"
	"os"
	"time"
)

//go:embed filler
var filler string

var paths = []string{
	// strings
}

func main() {
	fmt.Println(len(filler))
	for _, path := range paths {
		fmt.Println(path)
	}
	if len(os.Args) > 1 {
		address, err := net.LookupHost(os.Args[1])
		fmt.Println(address, err, mime.TypeByExtension(os.Args[1]), time.Local)
		_, err = tls.Dial("tcp", os.Args[1], nil)
		_, err = template.New("page").Parse(os.Args[1])
		fmt.Println(http.ListenAndServe(os.Args[1], nil), err)
	}
}
