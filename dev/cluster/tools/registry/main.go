// Command registry is a container registry for tests: blobs in a folder, manifests in memory, plain HTTP.
//
// With -user it asks for a name and a password, as registries of the real world do.
package main

import (
	"crypto/subtle"
	"flag"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port; 0 is any free port, which the log says")
	folder := flag.String("folder", "", "where the blobs are; empty: in memory")
	user := flag.String("user", "", "who may push and pull; empty: everybody")
	password := flag.String("password", "", "of the user")
	flag.Parse()

	blobs := registry.NewInMemoryBlobHandler()
	if *folder != "" {
		blobs = registry.NewDiskBlobHandler(*folder)
	}
	handler := registry.New(registry.WithBlobHandler(blobs))
	if *user != "" {
		handler = only(*user, *password, handler)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(listener))
}

// only lets requests through that carry this name and password.
func only(user, password string, handler http.Handler) http.Handler {
	equal := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if name, word, ok := request.BasicAuth(); ok && equal(name, user) && equal(word, password) {
			handler.ServeHTTP(answer, request)
			return
		}
		answer.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(http.StatusUnauthorized)
		_, _ = answer.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`))
	})
}
