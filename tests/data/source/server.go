package main

import (
	"database/sql"
	"fmt"
	"net/http"
)

var secret = "change me"

type server struct {
	db *sql.DB
}

func (s *server) find(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	rows, err := s.db.Query(fmt.Sprintf("SELECT id FROM users WHERE name = '%s'", name))
	if err != nil {
		http.Error(w, "failed", 500)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		_ = rows.Scan(&id)
		fmt.Fprintln(w, id)
	}
}

func main() {
	http.ListenAndServe(":8080", nil)
}
