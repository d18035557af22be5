'use strict';

const express = require('express');
const app = express();

app.get('/hello', (req, res) => {
  res.send('<p>' + req.query.name + '</p>');
});

const show = async (box, text) => {
  box.innerHTML = `<b>${text}</b>`;
  return eval(text);
};

class Box {
  constructor(size) {
    this.size = size;
  }

  half() {
    return this.size / 2;
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (e) {}
}
